import { describe, expect, test } from '@jest/globals'
import { Spots } from '../../../../src/config/yaml/spots.ts'

/** Of a file such as `a: …, services: [{ url: …, "x.y": { z: … } }, …]`. */
function spotsOfFile(): Spots {
  const spots = new Spots()
  const add = (offset: number, key: string | undefined, inside?: () => void) => {
    const spot = spots.begin(offset, key)
    inside?.()
    spots.end(spot)
  }
  add(1, 'a')
  add(2, 'services', () => {
    add(3, undefined, () => {
      add(4, 'url')
      add(5, 'x.y', () => add(6, 'z'))
      add(7, 'x[0]')
    })
    add(8, undefined, () => add(9, 'url'))
  })
  add(10, 'a')
  return spots
}

describe('where a setting stands', () => {
  test.each([
    ['services', 2],
    ['services[0]', 3],
    ['services[0].url', 4],
    ['services[1].url', 9],
  ])('%s', (path, offset) => {
    expect(spotsOfFile().find(path)).toBe(offset)
  })

  test.each([
    ['services[0].x.y', 5],
    ['services[0].x.y.z', 6],
    ['services[0].x[0]', 7],
  ])('%s, where keys hold dots and brackets', (path, offset) => {
    expect(spotsOfFile().find(path)).toBe(offset)
  })

  test('of a key that stands there twice, the last counts', () => {
    expect(spotsOfFile().find('a')).toBe(10)
  })

  test.each(['', 'b', 'services[2]', 'services[0].x', 'services[0].url.b', 'services.url', 'services[00]'])(
    '"%s" is not there',
    (path) => {
      expect(spotsOfFile().find(path)).toBeUndefined()
    },
  )
})
