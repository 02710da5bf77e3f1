/** The service worker puts photos that were shared to the app into this cache; the page takes them out. */
export const sharedCache = 'shared-photos';

export async function takeSharedPhotos(): Promise<File[]> {
  if (!new URLSearchParams(location.search).has('shared')) return [];
  history.replaceState(history.state, '', './');
  const cache = await caches.open(sharedCache);
  const files: File[] = [];
  for (const request of await cache.keys()) {
    const response = await cache.match(request);
    if (response) files.push(new File([await response.blob()], decodeURIComponent(response.headers.get('x-file-name') ?? ''), { type: response.headers.get('content-type') ?? '' }));
    await cache.delete(request);
  }
  return files;
}

/** Files that the system opens with the installed app. https://developer.mozilla.org/docs/Web/API/LaunchQueue */
export function onPhotosOpened(take: (files: File[]) => void) {
  const { launchQueue } = window as { launchQueue?: { setConsumer: (consumer: (launch: { files: readonly FileSystemFileHandle[] }) => void) => void } };
  launchQueue?.setConsumer(({ files }) => {
    if (files.length > 0) void Promise.all(files.map((file) => file.getFile())).then(take);
  });
}
