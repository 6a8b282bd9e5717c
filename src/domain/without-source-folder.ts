/** A message without the folder of the source file that it begins with or names: native code gives the path of where it was built. */
export const withoutSourceFolder = (message: string): string => message.replace(/\S*\/(?=[\w.-]+:\d+:)/, '')
