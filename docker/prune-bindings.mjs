// Usage: node prune-bindings.mjs cpu|cuda|cuda12 NODE_MODULES
//
// npm installs the llama.cpp binaries of every accelerator and of neighbouring processors (some 680 MB on amd64), and the
// bindings' bundle of llama.cpp's history, which only a build from source needs; and SQLite's binary for both of Linux' C libraries.
// This leaves what one image can use: all base images have glibc.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const [variant, nodeModules] = process.argv.slice(2)

const cpu = { x64: 'linux-x64', arm64: 'linux-arm64', arm: 'linux-armv7l' }[process.arch]
const wanted = {
  cpu: [cpu],
  // The CPU binary stays: a machine without a visible GPU falls back to it.
  cuda: [cpu, 'linux-x64-cuda'],
  // `-ext` holds the backend that is linked against CUDA 12.
  cuda12: [cpu, 'linux-x64-cuda', 'linux-x64-cuda-ext']
}[variant]

/** The driver of SQLite. */
const sqlite = { x64: 'linux-x64-gnu', arm64: 'linux-arm64-gnu', arm: 'linux-arm-gnueabihf' }[process.arch]

const fail = (message) => {
  console.error(`prune-bindings: ${message}`)
  process.exit(1)
}

if (nodeModules === undefined || wanted === undefined) fail('usage: prune-bindings.mjs cpu|cuda|cuda12 NODE_MODULES')
if (cpu === undefined) fail(`there are no prebuilt binaries for ${process.arch}`)
if (variant !== 'cpu' && process.arch !== 'x64') fail(`the ${variant} variant needs amd64, this is ${process.arch}`)

const scopes = { '@node-llama-cpp': wanted, '@libsql': [sqlite] }
for (const [scope, names] of Object.entries(scopes)) {
  for (const name of names) if (!existsSync(join(nodeModules, scope, name))) fail(`${scope}/${name} is not installed`)
}
for (const [scope, names] of Object.entries(scopes)) {
  for (const name of readdirSync(join(nodeModules, scope))) {
    if (names.includes(name)) continue
    rmSync(join(nodeModules, scope, name), { recursive: true })
    console.log(`left out ${scope}/${name}`)
  }
}
rmSync(join(nodeModules, 'node-llama-cpp', 'llama', 'gitRelease.bundle'), { force: true })
