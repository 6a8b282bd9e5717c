const texts: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is not a folder',
  ELOOP: 'its symbolic links go in a circle',
  EMFILE: 'too many files are open'
}

/** What an error of the file system means, as the end of a sentence about a file. */
export function fileErrorText (error: unknown): string {
  const { code, message } = error as Partial<NodeJS.ErrnoException>
  return (code === undefined ? undefined : texts[code]) ?? message ?? String(error)
}
