/**
 * Whose work goes first: `interactive` before `normal` before `batch`. Batch work fills what time is left: its slots may be taken from it.
 */
export const priorities = ['interactive', 'normal', 'batch'] as const

export type Priority = typeof priorities[number]

/** The smaller number goes first. */
export const rankOf = (priority: Priority): number => priorities.indexOf(priority)
