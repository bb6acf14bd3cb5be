// What the dashboard shows: the sensors of a small plant, made up.

/** One reading of a sensor. */
export interface Reading {
  kind: 'reading';
  sensor: string;
  unit: string;
  value: number;
  /** Milliseconds since 1970. */
  at: number;
}

interface Sensor {
  name: string;
  unit: string;
  middle: number;
  /** How far it strays from the middle. */
  width: number;
}

const sensors: Sensor[] = [
  { name: 'boiler', unit: '°C', middle: 82, width: 6 },
  { name: 'feed water', unit: '°C', middle: 46, width: 4 },
  { name: 'pressure', unit: 'bar', middle: 6.2, width: 0.7 },
  { name: 'turbine', unit: 'rpm', middle: 3000, width: 45 },
  { name: 'power', unit: 'kW', middle: 418, width: 38 },
  { name: 'voltage', unit: 'V', middle: 401, width: 4 },
  { name: 'flow', unit: 'l/s', middle: 23, width: 3 },
  { name: 'oxygen', unit: '%', middle: 4.1, width: 0.5 },
  { name: 'bearing', unit: '°C', middle: 57, width: 5 },
  { name: 'vibration', unit: 'mm/s', middle: 1.8, width: 0.4 },
  { name: 'tank', unit: '%', middle: 71, width: 9 },
  { name: 'outside', unit: '°C', middle: 11, width: 2 },
];

/** Calls back with a reading of one sensor after the other, each of them once a second. @returns what ends it */
export function startPlant(report: (reading: Reading) => void): () => void {
  const drift = sensors.map(() => Math.random() * 2 - 1);
  let next = 0;
  const timer = setInterval(() => {
    const index = next++ % sensors.length;
    const { name, unit, middle, width } = sensors[index];
    drift[index] = Math.max(-1, Math.min(1, drift[index] * 0.96 + (Math.random() - 0.5) * 0.5));
    const value = Number((middle + width * drift[index]).toPrecision(4));
    report({ kind: 'reading', sensor: name, unit, value, at: performance.timeOrigin + performance.now() });
  }, 1000 / sensors.length);
  return () => clearInterval(timer);
}
