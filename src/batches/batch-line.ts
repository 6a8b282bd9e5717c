import type { BatchUsage } from './batch.ts'

/** A line of a batch's input that is to be run. */
export interface BatchLine {
  readonly batchId: string
  /** 1-based number in the input. */
  readonly line: number
  /** The body of its request, as JSON. */
  readonly request: string
  /** How often it was begun, this time included. */
  readonly attempts: number
}

/** A line whose request was answered, well or not. */
export interface LineResult {
  readonly batchId: string
  readonly line: number
  readonly statusCode: number
  readonly requestId: string
  /** The answer's body, as JSON in one line of text. */
  readonly response: string
  readonly usage: BatchUsage
}

/** A line that is to be run again. */
export interface ReturnedLine {
  readonly batchId: string
  readonly line: number
  /** Milliseconds since 1970; not before. */
  readonly availableAt: number
  /** Whether this time counts as a try. */
  readonly isAttempt: boolean
}

/** What the files of a batch have of a line. */
export interface WrittenLine {
  readonly line: number
  /** As JSON. */
  readonly customId: string
  /** Null for a line that was never answered. */
  readonly result: { readonly statusCode: number, readonly requestId: string, readonly response: string } | null
}

export const isSuccess = (statusCode: number): boolean => statusCode >= 200 && statusCode < 300
