import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runMain } from '../support/run-main.ts'

const demo = fileURLToPath(new URL('../../models/demo', import.meta.url))
const pirate = path.join(demo, 'adapters', 'pirate.gguf')
const pirateFolder = path.join(demo, 'adapters', 'pirate-peft')

let directory = ''
beforeAll(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-adapters-')) })
afterAll(() => { rmSync(directory, { recursive: true }) })

const run = async (...argv: readonly string[]) => await runMain(['adapters', ...argv])

describe('drawbridge adapters', () => {
  it('explains itself, and knows no other commands', async () => {
    const help = await run()
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toContain('import FOLDER --model REF --out FILE.gguf')
    expect(await run('inspect', '--help')).toEqual(help)
    expect(await run('inspekt')).toEqual({ code: 1, stdout: '', stderr: 'drawbridge: There is no command "adapters inspekt"; did you mean inspect? (drawbridge adapters --help explains)\n' })
    expect(await run('inspect', pirate, '--modle', 'demo')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining("Unknown option '--modle'") })
    expect(await run('inspect')).toMatchObject({ code: 1, stderr: expect.stringContaining('takes one file or folder') })
  })

  it('inspect says what a file holds', async () => {
    expect(await run('inspect', pirate)).toEqual({
      code: 0,
      stderr: '',
      stdout: [
        'format        GGUF', 'name          pirate', 'architecture  llama', 'rank          8', 'alpha         16', 'matrices      28', 'size          204 KiB',
        'fits          - (--model REF compares it with a model)', ''
      ].join('\n')
    })
    expect((await run('inspect', pirate, '--model', 'demo')).stdout).toContain('fits          demo\n')
    expect(JSON.parse((await run('inspect', pirateFolder, '--model', 'demo', '--json')).stdout)).toEqual({
      path: pirateFolder, format: 'peft', name: null, architecture: 'llama', rank: 8, alpha: 16, targetCount: 28, sizeBytes: 417_792, fits: 'demo'
    })
  })

  it('inspect says why an adapter does not fit', async () => {
    const misfit = path.join(demo, 'adapters', 'misfit.gguf')
    expect(await run('inspect', misfit)).toMatchObject({ code: 0 })
    expect(await run('inspect', misfit, '--model', 'demo')).toEqual({
      code: 1, stdout: '', stderr: `drawbridge: The adapter ${misfit} has blk.0.attn_q.weight.lora_a of the shape 128 × 4, but this model needs 192 × 4; is it an adapter of another model?\n`
    })
    expect(await run('inspect', pirate, '--model', 'fake')).toMatchObject({ code: 1, stderr: 'drawbridge: --model fake has no files that an adapter could fit\n' })
  })

  it('import makes a file that fits, and leaves others alone', async () => {
    const out = path.join(directory, 'imported.gguf')
    expect(await run('import', pirateFolder, '--model', 'demo', '--out', out)).toEqual({ code: 0, stderr: '', stdout: `Wrote ${out}: rank 8, 28 matrices, 408 KiB.\n` })
    expect((await run('inspect', out, '--model', 'demo')).stdout).toContain('name          pirate-peft\n')
    expect(await run('import', pirateFolder, '--model', 'demo', '--out', out)).toMatchObject({ code: 1, stderr: `drawbridge: --out ${out} exists already; remove it or give another name\n` })
    const nowhere = path.join(directory, 'none', 'out.gguf')
    expect(await run('import', pirateFolder, '--model', 'demo', '--out', nowhere)).toEqual({ code: 1, stdout: '', stderr: `drawbridge: --out ${nowhere} cannot be written: there is no folder ${path.dirname(nowhere)}\n` })
    expect(await run('import', pirate, '--model', 'demo', '--out', nowhere)).toMatchObject({ code: 1, stderr: `drawbridge: ${pirate} is not a folder; adapters import takes one as PEFT saves it\n` })
  })

  it('import leaves nothing where the file would be when the folder cannot be used', async () => {
    const folder = path.join(directory, 'dora')
    cpSync(pirateFolder, folder, { recursive: true })
    const config = path.join(folder, 'adapter_config.json')
    writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')) as object, use_dora: true }))
    const before = readdirSync(directory)
    const { code, stderr } = await run('import', folder, '--model', 'demo', '--out', path.join(directory, 'dora.gguf'))
    expect(code).toBe(1)
    expect(stderr).toBe(`drawbridge: The adapter ${folder} cannot be used: use_dora in adapter_config.json means DoRA, whose magnitudes llama.cpp does not know; train without it, or merge the adapter into the model and convert that\n`)
    expect(readdirSync(directory)).toEqual(before)
    expect(existsSync(path.join(directory, 'dora.gguf'))).toBe(false)
  })
})
