/** Layers over a base: what an overlay is. */
export function Logo({ size }: { size: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#0f766e" />
      <path d="M8 11.5 16 7l8 4.5-8 4.5z" fill="#99f6e4" />
      <path
        d="m8 16 8 4.5 8-4.5M8 20.5 16 25l8-4.5"
        fill="none"
        stroke="#ccfbf1"
        strokeWidth="2"
        strokeLinejoin="round"
        strokeLinecap="round"
      />
    </svg>
  )
}
