import { afterEach, beforeEach, expect } from '@jest/globals'
import { configure } from '@testing-library/dom'
import { format } from 'node:util'

// What is waited for comes within milliseconds, but not on a busy machine.
configure({ asyncUtilTimeout: 8000 })

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
