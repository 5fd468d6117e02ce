import { useEffect, useState } from 'react'
import { requestPicture } from '../api/client.js'

interface Picture {
  path: string
  url: string
}

/**
 * The picture at a path of the API, read again whenever `version` changes; the one before stays until then. Read by
 * script because an `<img>` takes a picture of the same address from memory, whatever the server says about keeping it.
 */
export function usePicture(path: string, version: string | number): string | null {
  const [picture, setPicture] = useState<Picture>()
  const wanted = `${path}#${version}` // the part after the sign stays in the browser

  useEffect(() => {
    const reading = new AbortController()
    requestPicture(wanted, reading.signal).then(
      (blob) => setPicture({ path, url: URL.createObjectURL(blob) }),
      () => undefined, // no picture is an answer too: what was there before stays
    )
    return () => reading.abort()
  }, [path, wanted])

  useEffect(() => {
    if (!picture) return undefined
    return () => URL.revokeObjectURL(picture.url)
  }, [picture])

  return picture?.path === path ? picture.url : null
}
