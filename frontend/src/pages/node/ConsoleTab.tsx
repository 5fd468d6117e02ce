export function ConsoleTab() {
  return null
}
