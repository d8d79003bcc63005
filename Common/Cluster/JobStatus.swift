/// What `status` shows of a job.
package struct JobStatus: Codable, Sendable, Equatable {
    /// What the job's tasks have read from one site since the current stage began, and the mean rates since then.
    package struct Site: Codable, Sendable, Equatable {
        package var site: String
        package var events: Int64
        package var bytes: Int64
        package var eventsPerSecond: Double
        package var megabytesPerSecond: Double

        package init(site: String, events: Int64, bytes: Int64, eventsPerSecond: Double, megabytesPerSecond: Double) {
            self.site = site
            self.events = events
            self.bytes = bytes
            self.eventsPerSecond = eventsPerSecond
            self.megabytesPerSecond = megabytesPerSecond
        }
    }

    /// A stage that the job entered, and the seconds that it took or has taken so far.
    package struct Stage: Codable, Sendable, Equatable {
        package var stage: JobStage
        package var seconds: Double

        package init(stage: JobStage, seconds: Double) {
            self.stage = stage
            self.seconds = seconds
        }
    }

    package var id: JobID
    package var name: String
    package var stage: JobStage
    /// Why it failed.
    package var error: String?
    /// What it waits for, where it waits.
    package var waiting: String?
    /// What the user should know: branches left out, files skipped, constant features.
    package var notes: [String] = []
    /// How long each stage took, the last one so far.
    package var stages: [Stage] = []
    /// None of its tasks is assigned until it is resumed.
    package var paused = false
    package var tasksDone = 0
    package var tasksAll = 0
    package var files = 0
    package var entries: Int64 = 0
    package var workers = 0
    package var eventsPerSecond = 0.0
    package var megabytesPerSecond = 0.0
    package var sites: [Site] = []
    package var epoch = 0
    package var epochs = 0
    package var step: Int64 = 0
    package var steps: Int64 = 0
    /// The newest training round; 0 before the first.
    package var round = RoundNumber(0)
    package var loss: Double?
    package var etaSeconds: Double?
    package var metrics: [EpochMetrics] = []
    package var test: PartMetrics?
    /// What the finished model does on train and test; nil before the end of the training, and in lists of jobs.
    package var evaluation: EvaluationReport?
    package var published: [String] = []

    package init(id: JobID, name: String, stage: JobStage) {
        self.id = id
        self.name = name
        self.stage = stage
    }

    package var isFinal: Bool { stage.isFinal }
}

/// Whether a worker gets tasks.
package enum WorkerState: String, Codable, Sendable, CaseIterable {
    case working, draining
    /// It failed too often and is assigned nothing more; published with the old spelling.
    case quarantined = "set aside"
}

/// What `workers` shows of a worker.
package struct WorkerStatus: Codable, Sendable, Equatable {
    package var id: WorkerID
    package var name: String
    package var state: WorkerState
    /// Why it is quarantined.
    package var reason: String?
    package var threads = 0
    /// What its arithmetic uses of the processor.
    package var instructionSet = ""
    /// Tasks that it has, and tasks of it that were counted.
    package var held = 0
    package var counted = 0
    package var round: RoundNumber?
    package var phase: RoundPhase?
    package var silentSeconds = 0.0
    /// Threads that wait for local files which do not answer, in a sentence; nil where there are none.
    package var stuck: String?

    package init(id: WorkerID, name: String, state: WorkerState) {
        self.id = id
        self.name = name
        self.state = state
    }
}

// MARK: Decoding: what an earlier server does not send has its default

extension JobStatus {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            id: try keys.decode(JobID.self, forKey: .id), name: try keys.decode(String.self, forKey: .name),
            stage: try keys.decode(JobStage.self, forKey: .stage))
        try keys.read(.error, into: &error)
        try keys.read(.waiting, into: &waiting)
        try keys.read(.notes, into: &notes)
        try keys.read(.stages, into: &stages)
        try keys.read(.paused, into: &paused)
        try keys.read(.tasksDone, into: &tasksDone)
        try keys.read(.tasksAll, into: &tasksAll)
        try keys.read(.files, into: &files)
        try keys.read(.entries, into: &entries)
        try keys.read(.workers, into: &workers)
        try keys.read(.eventsPerSecond, into: &eventsPerSecond)
        try keys.read(.megabytesPerSecond, into: &megabytesPerSecond)
        try keys.read(.sites, into: &sites)
        try keys.read(.epoch, into: &epoch)
        try keys.read(.epochs, into: &epochs)
        try keys.read(.step, into: &step)
        try keys.read(.steps, into: &steps)
        try keys.read(.round, into: &round)
        try keys.read(.loss, into: &loss)
        try keys.read(.etaSeconds, into: &etaSeconds)
        try keys.read(.metrics, into: &metrics)
        try keys.read(.test, into: &test)
        try keys.read(.evaluation, into: &evaluation)
        try keys.read(.published, into: &published)
    }
}

extension WorkerStatus {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            id: try keys.decode(WorkerID.self, forKey: .id), name: try keys.decode(String.self, forKey: .name),
            state: try keys.decode(WorkerState.self, forKey: .state))
        try keys.read(.reason, into: &reason)
        try keys.read(.threads, into: &threads)
        try keys.read(.instructionSet, into: &instructionSet)
        try keys.read(.held, into: &held)
        try keys.read(.counted, into: &counted)
        try keys.read(.round, into: &round)
        try keys.read(.phase, into: &phase)
        try keys.read(.silentSeconds, into: &silentSeconds)
        try keys.read(.stuck, into: &stuck)
    }
}
