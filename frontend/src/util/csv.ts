/** Rows as RFC 4180 has them; fields are quoted where they must be. */
export function toCsv(rows: readonly (readonly string[])[]): string {
  return `${rows.map((row) => row.map(quoted).join(',')).join('\r\n')}\r\n`
}

function quoted(field: string): string {
  return /[",\r\n]|^\s|\s$/.test(field) ? `"${field.replaceAll('"', '""')}"` : field
}

/** Fields of one line; the separator is what the line uses: comma, semicolon or tab. Quotes may hold separators. */
export function splitLine(line: string): string[] {
  const separator = [';', '\t'].find((one) => line.includes(one) && !line.includes(',')) ?? ','
  const fields: string[] = []
  let field = ''
  let quoting = false
  for (let at = 0; at < line.length; at += 1) {
    const letter = line[at]
    if (quoting && letter === '"' && line[at + 1] === '"') {
      field += '"'
      at += 1
    } else if (letter === '"') {
      quoting = !quoting
    } else if (letter === separator && !quoting) {
      fields.push(field.trim())
      field = ''
    } else {
      field += letter
    }
  }
  return [...fields, field.trim()]
}
