/** There is one. */
export const REGION = "local";
