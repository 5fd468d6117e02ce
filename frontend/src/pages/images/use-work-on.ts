import { useOperations } from '../../api/operations.js'

/** What is being done about an image right now, in words: `Downloading, 42 %`; undefined when nothing is. */
export function useWorkOn(imageId: string): string | undefined {
  const operations = useOperations()
  const running = operations.data?.find(
    (operation) =>
      operation.state === 'running' && operation.target?.type === 'image' && operation.target.id === imageId,
  )
  if (!running) return undefined
  return running.progress === null ? running.step : `${running.step}, ${Math.round(running.progress * 100)} %`
}
