/** A header that is sent once; the first, where it was sent more often and Node did not join them. */
export const singleHeader = (header: string | string[] | undefined): string | undefined => Array.isArray(header) ? header[0] : header
