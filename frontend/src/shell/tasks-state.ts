import { createContext, use } from 'react'

const TasksContext = createContext<() => void>(() => {})
export const TasksProvider = TasksContext

/** Opens the tasks drawer: where long work that was just begun shows its progress. */
export function useOpenTasks(): () => void {
  return use(TasksContext)
}
