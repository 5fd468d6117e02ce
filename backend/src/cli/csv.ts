import { SandlabError } from '../domain/error.js'

/**
 * Reads a table with a heading: fields parted by commas or semicolons (which the heading decides), quoted where needed
 * (RFC 4180), with or without a byte order mark. Headings in lower case; empty lines are left out. Throws `bad_request`
 * with the line's number for a row that has more fields than the heading, or a quote that does not end.
 */
export function readCsv(text: string): { line: number; fields: Record<string, string> }[] {
  const rows = rowsOf(text.replace(/^\uFEFF/, ''))
  const [head, ...body] = rows
  const columns = head?.fields.map((name) => name.toLowerCase()) ?? []
  return body.map(({ line, fields }) => {
    if (fields.length > columns.length) {
      throw new SandlabError('bad_request', `Line ${line} has ${fields.length} fields, the heading ${columns.length}.`)
    }
    return { line, fields: Object.fromEntries(columns.map((column, index) => [column, fields[index] ?? ''])) }
  })
}

interface Row {
  line: number
  fields: string[]
}

function rowsOf(text: string): Row[] {
  const separator = separatorOf(text)
  const rows: Row[] = []
  let row: Row = { line: 1, fields: [] }
  let field = ''
  let quotedSince: number | undefined
  let line = 1
  const endField = () => {
    row.fields.push(field.trim())
    field = ''
  }
  const endRow = () => {
    endField()
    if (row.fields.some((one) => one !== '')) rows.push(row)
    row = { line: line + 1, fields: [] }
  }
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at)
    if (quotedSince !== undefined) {
      if (character === '"' && text.charAt(at + 1) === '"') {
        field += '"'
        at += 1
      } else if (character === '"') quotedSince = undefined
      else field += character
    } else if (character === '"' && field.trim() === '') {
      field = ''
      quotedSince = line
    } else if (character === separator) endField()
    else if (character === '\n') endRow()
    else if (character !== '\r') field += character
    if (character === '\n') line += 1
  }
  if (quotedSince !== undefined) {
    throw new SandlabError('bad_request', `The quote that begins in line ${quotedSince} does not end.`)
  }
  endRow()
  return rows
}

/** Spreadsheets of half of Europe write semicolons. */
function separatorOf(text: string): string {
  const heading = text.split('\n', 1)[0] ?? ''
  return heading.includes(';') && !heading.includes(',') ? ';' : ','
}
