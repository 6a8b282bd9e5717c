/** How long a fact may take to come about on a busy machine; nothing is asserted about speed. */
export const patience = { timeout: 20_000 } as const
