/** The data of each event of an SSE body, parsed; `[DONE]` stays a string. Comments are left out. */
export function readSse (body: string): unknown[] {
  return body.split('\n\n').filter((event) => event.startsWith('data: ')).map((event) => {
    const data = event.slice('data: '.length)
    return data === '[DONE]' ? data : JSON.parse(data) as unknown
  })
}

/** The data of each event of an SSE body whose events have names, which must be those in their data. Pings are left out. */
export function readNamedSse (body: string): { readonly type: string }[] {
  return body.split('\n\n').filter((event) => event !== '').flatMap((event) => {
    const [, name, json] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? []
    const data = JSON.parse(json ?? 'null') as { readonly type: string } | null
    if (data === null || data.type !== name) throw new Error(`This is no event with a name: ${event}`)
    return name === 'ping' ? [] : [data]
  })
}
