import { config, type ZodType } from 'zod'

// zod would compile its checks with `new Function`, which the policy forbids.
config({ jitless: true })

/** By field (`name`, `sshKeys.0`) the first thing that is wrong with it, as a sentence; empty when all is well. */
export function problemsOf(schema: ZodType, value: unknown): Record<string, string> {
  const result = schema.safeParse(value)
  if (result.success) return {}
  const problems: Record<string, string> = {}
  for (const issue of result.error.issues) problems[issue.path.join('.')] ??= sentence(issue.message)
  return problems
}

function sentence(message: string): string {
  return message.charAt(0).toUpperCase() + message.slice(1)
}
