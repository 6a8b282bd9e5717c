import { describe, expect, it } from 'vitest'
import { checkCertificate } from '../../../../src/cli/checks/check-certificate.ts'

const certificate = { subject: 'CN=chat', subjectAltName: 'DNS:chat.example.com', validFrom: 'Jan  1 00:00:00 2026 GMT', validTo: 'Mar 31 00:00:00 2026 GMT' }
const at = (day: string): number => Date.parse(`${day}T12:00:00Z`)

describe('a certificate', () => {
  it.each([
    ['2025-12-31', 0o600, 'problem', 'It begins on 2026-01-01 (DNS:chat.example.com)'],
    ['2026-01-01', 0o640, 'ok', 'It is good until 2026-03-31 (DNS:chat.example.com)'],
    ['2026-02-01', 0o644, 'warning', 'Everybody on this machine may read its key; chmod o= takes that from them'],
    ['2026-03-20', 0o600, 'warning', 'It ends on 2026-03-31 (DNS:chat.example.com)'],
    ['2026-03-31', 0o600, 'problem', 'It ended on 2026-03-31 (DNS:chat.example.com)']
  ] as const)('is looked at on %s, with a key of mode %i', (day, mode, state, text) => {
    expect(checkCertificate(certificate, mode, at(day))).toEqual({ about: 'certificate', state, text })
  })

  it('without other names is known by its subject', () => {
    expect(checkCertificate({ ...certificate, subjectAltName: undefined }, 0o600, at('2026-01-02')).text).toContain('(CN=chat)')
  })
})
