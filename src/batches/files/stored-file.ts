/** What files may be for: what clients upload, and what batches have made. */
export const filePurposes = ['batch', 'batch_output'] as const

export type FilePurpose = typeof filePurposes[number]

/** A file that is there as a whole. Times are milliseconds since 1970. */
export interface StoredFile {
  readonly id: string
  /** Who may see it. */
  readonly tenant: string
  readonly purpose: FilePurpose
  readonly filename: string
  readonly bytes: number
  readonly createdAt: number
  /** Null is never. */
  readonly expiresAt: number | null
}

/** Whose space a file takes. */
export interface FileOwner {
  readonly owner: string
  readonly tenant: string
}
