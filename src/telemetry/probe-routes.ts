/** What machines ask every few seconds: not worth a line or a span each. */
export const probeRoutes: ReadonlySet<string> = new Set(['/health', '/ready', '/metrics'])
