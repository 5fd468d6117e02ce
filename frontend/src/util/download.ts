/** Hands a file to the browser to be saved. */
export function download(name: string, content: Blob): void {
  const address = URL.createObjectURL(content)
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}

/** `web-07-serial-2026-11-21-0809.txt` */
export function fileName(nodeName: string, what: string, extension: string, now = new Date()): string {
  const pad = (figure: number) => String(figure).padStart(2, '0')
  const day = `${now.getFullYear()}-${pad(now.getMonth() + 1)}-${pad(now.getDate())}`
  return `${nodeName}-${what}-${day}-${pad(now.getHours())}${pad(now.getMinutes())}.${extension}`
}
