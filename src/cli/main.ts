#!/usr/bin/env node
import { runCommand } from './run-command.ts'

process.exitCode = await runCommand(process.argv.slice(2), process.env)
// Everything is closed by now; should something keep the event loop alive all the same, it does not keep the process.
setTimeout(() => process.exit(), 2000).unref()
