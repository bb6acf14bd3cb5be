// How a scenario describes its tables: what the columns are called, what they count in, and which of them are charted.

/** CPU of a server for a unit of its work; or time that a piece of code takes by itself. */
export type Cost = 'CPU for a request or a message' | 'time for a switch';

export interface Column {
  /** The figure's name in the samples. */
  key: string;
  title: string;
  unit?: string;
  digits: number;
  /** Shows a second column beside it: the ratio to the baseline's figure of the same round, see `ratioOf`; and a third if the table has another row for that. */
  ratio?: boolean;
  /** Draws it in the scenario's chart; a text is what the chart calls it. */
  chart?: boolean | string;
  /** Its ratios are what two runs are to agree on, and it is this that they are ratios of. */
  cost?: Cost;
}

export interface Table {
  name: string;
  title: string;
  columns: Column[];
  /** Shows the samples of this table of the scenario instead of its own. */
  samples?: string;
  /** The rows, where they are not the peers. */
  rows?: { name: string; title: string }[];
  /** The row that ratios are taken to. Default: the floor. */
  baseline?: string;
  /** Another row that ratios are taken to, where it is there. */
  beside?: string;
}
