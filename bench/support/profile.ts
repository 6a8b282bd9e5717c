import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import path from 'node:path'

/*
 * Preloaded by NODE_OPTIONS=--import into the server and its engine process: profiles the process from its start and
 * writes PID.cpuprofile into $PROFILE_FOLDER when it exits. (`--cpu-prof` would not reach the engine process: the server
 * does not pass its own flags on, and Node 20 does not take this one from NODE_OPTIONS.)
 */
const folder = process.env['PROFILE_FOLDER']
if (folder !== undefined) {
  const session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.setSamplingInterval', { interval: 200 })
  session.post('Profiler.start')
  process.once('exit', () => {
    // In the process itself, the inspector answers before `post` returns.
    session.post('Profiler.stop', (error, result) => {
      if (error !== null) return
      mkdirSync(folder, { recursive: true })
      writeFileSync(path.join(folder, `${process.title === 'drawbridge-engine' ? 'engine' : 'server'}-${process.pid}.cpuprofile`), JSON.stringify(result.profile))
    })
  })
}
