import { describe, expect, it } from '@jest/globals'
import { render } from '@testing-library/react'
import { Words } from './Words.js'

describe('a sentence of the server', () => {
  it('has what is to be typed in a typewriter’s letters', () => {
    const { container } = render(<Words>Run `sandlabx doctor` first.</Words>)
    expect(container.innerHTML).toBe('Run <code>sandlabx doctor</code> first.')
  })

  it('has times as people write them', () => {
    const { container } = render(<Words>last written 2026-11-21T15:50:47.424Z</Words>)
    expect(container.textContent).toMatch(/^last written 2\d Nov 2026, \d\d:\d\d:\d\d/)
  })
})
