import { expect, it } from 'vitest'
import { userCacheFolder } from '../../../src/models/user-cache-folder.ts'

it('the cache folder follows XDG_CACHE_HOME, else the home folder', () => {
  expect(userCacheFolder({ XDG_CACHE_HOME: '/var/cache' }, '/home/ada')).toBe('/var/cache/drawbridge')
  expect(userCacheFolder({}, '/home/ada')).toBe('/home/ada/.cache/drawbridge')
  // The specification has relative paths ignored.
  expect(userCacheFolder({ XDG_CACHE_HOME: 'cache' }, '/home/ada')).toBe('/home/ada/.cache/drawbridge')
  expect(userCacheFolder({}, '')).toBeNull()
})
