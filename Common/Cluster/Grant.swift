/// A task that is assigned to the worker. `plan` comes with chunks.
package struct Grant: Codable, Sendable, Equatable {
    package var lease: LeaseName
    package var body: TaskBody
    package var plan: ChunkPlan?

    package init(_ lease: LeaseName, _ body: TaskBody, plan: ChunkPlan? = nil) {
        self.lease = lease
        self.body = body
        self.plan = plan
    }
}
