import { afterEach, beforeEach, expect } from '@jest/globals'
import { format } from 'node:util'

/** React says that jsdom does not know this element; browsers do. */
const KNOWN = [/The tag <search> is unrecognized in this browser/]
const warnings: string[] = []

// A warning is a failure: each test ends with an empty console.
beforeEach(() => {
  warnings.length = 0
  const keep = (...parts: unknown[]) => {
    const text = format(...parts)
    if (!KNOWN.some((known) => known.test(text))) warnings.push(text)
  }
  console.error = keep
  console.warn = keep
})

afterEach(() => {
  expect(warnings).toEqual([])
})
