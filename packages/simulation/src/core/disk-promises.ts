import type { SimDisk } from "./disk.js";
import type { SimulationError } from "./errors.js";

/**
 * A disk's calls as promises, for code under test that awaits its files. Drive the world with `runAsync`. A call that a crash cuts off
 * never settles, as nothing is left of the program that made it.
 */
export class PromiseDisk {
  constructor(readonly disk: SimDisk) {}

  write(file: string, offset: number, bytes: Uint8Array): Promise<void> {
    return settled((done) => this.disk.write(file, offset, bytes, done));
  }

  read(file: string, offset: number, length: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.disk.read(file, offset, length, (error, bytes) => (error === undefined ? resolve(bytes) : reject(error)));
    });
  }

  sync(file: string): Promise<void> {
    return settled((done) => this.disk.sync(file, done));
  }

  syncDirectory(): Promise<void> {
    return settled((done) => this.disk.syncDirectory(done));
  }

  truncate(file: string, sizeBytes: number): Promise<void> {
    return settled((done) => this.disk.truncate(file, sizeBytes, done));
  }

  rename(file: string, to: string): Promise<void> {
    return settled((done) => this.disk.rename(file, to, done));
  }

  remove(file: string): Promise<void> {
    return settled((done) => this.disk.remove(file, done));
  }
}

function settled(call: (done: (error?: SimulationError) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => (error === undefined ? resolve() : reject(error)));
  });
}
