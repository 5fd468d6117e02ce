import { useEffect, useState } from 'react'

const secondsUntil = (momentMs: number) => Math.max(0, Math.ceil((momentMs - Date.now()) / 1000))

/** How long until the next try; counts without reading each second out. */
export function Countdown({ until }: { until: number }) {
  const [seconds, setSeconds] = useState(() => secondsUntil(until))
  useEffect(() => {
    const timer = setInterval(() => setSeconds(secondsUntil(until)), 250)
    return () => clearInterval(timer)
  }, [until])
  return <span aria-live="off">{seconds === 0 ? 'Trying again …' : `Trying again in ${seconds} s`}</span>
}
