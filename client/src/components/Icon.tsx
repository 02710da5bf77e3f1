/** Drawn on a 24-pixel grid with a 2-pixel pen and square ends, like the rules of the labels. */
const paths = {
  camera: 'M3 7h4l2-3h6l2 3h4v13H3zM12 10a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z',
  photo: 'M3 4h18v16H3zM3 16l5-5 4 4 3-3 6 5M15.5 8.5h.01',
  link: 'M10 14 14 10M8.5 11.5 5 15a3 3 0 0 0 4 4l3.5-3.5M15.5 12.5 19 9a3 3 0 0 0-4-4l-3.5 3.5',
  close: 'M5 5l14 14M19 5 5 19',
  flip: 'M4 11a8 8 0 0 1 14-4.5L20 9M20 4v5h-5M20 13a8 8 0 0 1-14 4.5L4 15M4 20v-5h5',
  down: 'M6 9l6 6 6-6',
  check: 'M4 12.5l5 5L20 6.5',
  settings: 'M4 7h9M19 7h1M13 4v6h4V4zM4 17h1M11 17h9M5 14v6h4v-6z',
  eye: 'M2 12c3-5 6-7 10-7s7 2 10 7c-3 5-6 7-10 7s-7-2-10-7zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z',
  alert: 'M12 3 2 20h20zM12 9v5M12 17h.01',
  copy: 'M8 8h12v12H8zM4 16V4h12',
  download: 'M12 3v12M7 10l5 5 5-5M4 20h16',
  again: 'M20 12a8 8 0 1 1-2.5-5.8L20 9M20 4v5h-5',
  offline: 'M2 8.5C4.5 6 8 4.500 12 4.500M22 8.500C20.900 7.400 19.600 6.500 18.200 5.800M6 13c1.200-1.200 2.700-2 4.500-2.300M18 13l-1.500-1.200M12 19h.01M3 3l18 18',
  device: 'M7 2h10v20H7zM11 18h2',
  server: 'M3 4h18v7H3zM3 13h18v7H3zM7 7.500h.01M7 16.500h.01',
  grid: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z',
  teach: 'M2 9l10-5 10 5-10 5zM6 11.500v5c3 3 9 3 12 0v-5M22 9v6',
  plus: 'M12 4v16M4 12h16',
  code: 'M8 6l-6 6 6 6M16 6l6 6-6 6',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="square" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}
