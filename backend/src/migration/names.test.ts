import { describe, expect, it } from '@jest/globals'
import { chooseImage, oldImageId } from './image-choice.js'
import { freeName, loginOf, nodeNameOf } from './names.js'
import type { OldImage } from './old-disks.js'

const ID = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a01'

describe('the name of an old node', () => {
  it.each([
    ['My Router #1', 'my-router-1'],
    ['Müller_web', 'muller-web'],
    ['  --x--  ', 'x'],
    ['日本', 'node-0b2f7a36'],
    ['', 'node-0b2f7a36'],
    ['a'.repeat(80), 'a'.repeat(63)],
  ])('%j becomes the host name %s', (old, name) => {
    expect(nodeNameOf(old, ID)).toBe(name)
  })

  it('gets the first number that is free, within its length', () => {
    const taken = new Set(['web', 'web-2', 'b'.repeat(63)])
    expect(freeName('web', (name) => taken.has(name))).toBe('web-3')
    expect(freeName('b'.repeat(63), (name) => taken.has(name))).toBe(`${'b'.repeat(61)}-2`)
  })

  it('is a login where an e-mail address is one', () => {
    expect(loginOf('Ann.Miller+lab@school.example')).toBe('ann.miller-lab')
    expect(loginOf('42@school.example')).toBe('user')
  })
})

describe('the base image of an old node', () => {
  const image = (file: string, isCustom = false): OldImage => ({
    path: `/old/images/${isCustom ? 'custom/' : ''}${file}`,
    file,
    isCustom,
    sha256: `${file}${String(isCustom)}`,
    sizeBytes: 1,
    usedBytes: 1,
    mtimeMs: 0,
    key: file,
    fault: null,
    virtualSizeBytes: 1,
  })
  const images = [image('alpine-3.qcow2'), image('ubuntu-24-lts.qcow2'), image('own.qcow2'), image('own.qcow2', true)]

  it('is what its disk stands on, whatever its record says', () => {
    const disk = { baseFile: 'alpine-3.qcow2', baseIsCustom: false }
    expect(chooseImage({ osType: 'debian', imageFile: null }, disk, images, [])).toEqual({ from: images[0] })
  })

  it('is its system’s without a disk, and Ubuntu’s where that is unknown', () => {
    expect(chooseImage({ osType: 'alpine', imageFile: null }, null, images, [])).toEqual({ from: images[0] })
    expect(chooseImage({ osType: 'fedora', imageFile: null }, null, images, [])).toEqual({ from: images[1] })
  })

  it('is the uploaded one where its record or its disk names it', () => {
    expect(chooseImage({ osType: null, imageFile: 'own.qcow2' }, null, images, [])).toEqual({ from: images[3] })
    const disk = { baseFile: 'own.qcow2', baseIsCustom: true }
    expect(chooseImage({ osType: 'alpine', imageFile: null }, disk, images, [])).toEqual({ from: images[3] })
  })

  it('says which file is missing', () => {
    expect(chooseImage({ osType: 'router', imageFile: null }, null, images, [])).toEqual({
      missing: expect.stringContaining('router.qcow2'),
    })
  })

  it('has an id from its file name, which no other image has', () => {
    expect(oldImageId('My Image (2).qcow2', [])).toBe('my-image-2-')
    expect(oldImageId('alpine-3.qcow2', ['alpine-3', 'alpine-3-old'])).toBe('alpine-3-old-2')
  })
})
