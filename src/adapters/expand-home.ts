import { homedir } from 'node:os'

/** A path that begins with `~`, as shells read it. */
export const expandHome = (file: string): string => file.replace(/^~(?=$|\/)/, homedir())
