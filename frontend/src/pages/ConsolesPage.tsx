export function ConsolesPage() {
  return null
}
