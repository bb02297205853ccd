/** The folder of MCP's own programs, `inspector` and `conformance`. */
export declare const agentPrograms: string;
