import type { HealthReport } from '@domain/health.js'
import { useQuery } from '@tanstack/react-query'
import { request } from './client.js'

export function useHealth(options: { enabled?: boolean } = {}) {
  return useQuery({
    queryKey: ['health'],
    queryFn: ({ signal }) => request<HealthReport>('GET', 'health', { signal }),
    enabled: options.enabled ?? true,
  })
}
