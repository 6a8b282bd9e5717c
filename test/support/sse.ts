/** The data of each event of an SSE body, parsed; `[DONE]` stays a string. Comments are left out. */
export function readSse (body: string): unknown[] {
  return body.split('\n\n').filter((event) => event.startsWith('data: ')).map((event) => {
    const data = event.slice('data: '.length)
    return data === '[DONE]' ? data : JSON.parse(data) as unknown
  })
}
