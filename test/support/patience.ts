/** How long a fact may take to come about on a busy machine, and how often it is looked for; nothing is asserted about speed. */
export const patience = { timeout: 60_000, interval: 10 } as const
