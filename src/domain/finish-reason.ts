/** Why an answer ended normally. Aborted and failed ones end with an error instead. */
export type FinishReason = 'stop' | 'length'
