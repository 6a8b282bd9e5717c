import { describe, expect, it } from 'vitest'
import { adapterTable } from '../../../src/cli/adapters-list.ts'

const adapter = {
  id: 0, name: 'pirate', model: 'base', state: 'ready', generation: 2, source: '/a/pirate.gguf', scale: 0.5, pinned: true, rank: 8, bytes: 2048, resident_bytes: 2048, in_flight: 3, error: null
}

describe('the table of adapters', () => {
  it('has a line for each, and its error below it', () => {
    expect(adapterTable([adapter, { ...adapter, id: 12, name: 'x', state: 'failed', pinned: false, rank: null, resident_bytes: 0, in_flight: 0, error: 'It is broken' }])).toBe([
      'id  name    model  state          generation  scale  rank  memory   in flight  source',
      '0   pirate  base   ready, pinned  2           0.5    8     2 KiB    3          /a/pirate.gguf',
      '12  x       base   failed         2           0.5    -     0 bytes  0          /a/pirate.gguf',
      '    It is broken',
      ''
    ].join('\n'))
  })

  it('says when there are none', () => {
    expect(adapterTable([])).toBe('There are no adapters.\n')
  })
})
