import { accessSync, constants, existsSync } from 'node:fs'
import path from 'node:path'
import { fileErrorText } from '../../domain/file-error-text.ts'
import type { Finding } from './finding.ts'

/** Whether this user may write a file, or make it, without touching it. */
export function checkWritable (about: string, file: string): Finding {
  let place = file
  // What is missing is made, up to the first folder that is there.
  while (!existsSync(place) && path.dirname(place) !== place) place = path.dirname(place)
  try {
    accessSync(place, constants.W_OK)
    return { about, state: 'ok', text: place === file ? `${file} can be written` : `${file} can be made` }
  } catch (error) {
    return { about, state: 'problem', text: `${file} cannot be written: ${fileErrorText(error)} (${place})` }
  }
}
