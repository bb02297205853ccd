/** The node_modules of testcontainers and Parcel's watcher. */
export declare const benchPrograms: string;
