/** Where on a map most of the evidence lies, by thirds: the words for it are texts. */
export const places = ['topLeft', 'top', 'topRight', 'left', 'centre', 'right', 'bottomLeft', 'bottom', 'bottomRight'] as const;
export type MapPlace = (typeof places)[number] | 'everywhere';

/** The ninth of the picture that holds the most evidence; "everywhere" where no ninth holds a quarter more than its share. */
export function placeOf(map: readonly (readonly number[])[]): MapPlace {
  const sums = new Array<number>(9).fill(0);
  const areas = new Array<number>(9).fill(0);
  const third = (at: number, length: number) => Math.min(2, Math.floor(((at + 0.5) * 3) / length));
  map.forEach((row, y) => row.forEach((value, x) => {
    const part = third(y, map.length) * 3 + third(x, row.length);
    sums[part]! += value;
    areas[part]! += 1;
  }));
  const means = sums.map((sum, part) => (areas[part] ? sum / areas[part] : 0));
  const largest = means.indexOf(Math.max(...means));
  const mean = means.reduce((sum, value) => sum + value, 0) / 9;
  return means[largest]! >= 1.25 * mean && mean > 0 ? places[largest]! : 'everywhere';
}
