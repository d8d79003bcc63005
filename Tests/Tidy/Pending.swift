/// The rooms that do not pass a check yet. Lists only shrink.
enum Pending {
    static let documentation: Set<String> = [
        "Access", "Cluster", "Collectives", "Columns", "CoordinatorService", "InferenceService", "Ledger", "Models",
        "Pipeline", "Scheduling", "Serving", "Session", "Specs", "Training", "Wire", "WorkerService",
    ]
    static let length: Set<String> = [
        "Access", "Benchmarks", "CGloo", "CKernels", "CXrootd", "Cluster", "ClusterBenchmark", "Collectives", "Columns",
        "CommandLine", "CoordinatorService", "DyingCoordinator", "Features", "FeaturesTests", "InferenceService",
        "Integration", "JobFile", "JobFileTests", "Ledger", "Member", "MemberTests", "Models", "Pipeline",
        "RestInterface", "RestInterfaceTests", "RootFormat", "Sampling", "Scheduling", "Session", "Simulation", "Specs",
        "StorageTests", "Training", "Wire", "WorkerService", "scripts",
    ]
    static let mainType: Set<String> = [
        "Cluster", "ClusterBenchmark", "CommandLine", "CoordinatorService", "Features", "FeaturesTests", "Member",
        "MemberTests", "Models", "Pipeline", "Scheduling", "SchedulingTests", "Simulation", "TestKit", "TrainingTests",
    ]
    static let unused: Set<String> = [
        "Scheduling",
    ]
    static let safety: Set<String> = [
        "Bytes", "Columns", "CommandLine", "CoordinatorService", "InferenceService", "Simulation", "TestKit",
        "Training", "WorkerService",
    ]
    static let pureRooms: Set<String> = [
        "Scheduling", "Serving", "Session",
    ]
    static let defaults: Set<String> = []
    static let layers: Set<String> = []
    static let words: Set<String> = [
        "ARCHITECTURE.md", "Benchmarks", "CKernels", "CONTRIBUTING.md", "Cluster", "ClusterBenchmark", "Collectives",
        "CollectivesTests", "CommandLine", "CoordinatorService", "FeaturesTests", "Impair", "InferenceService",
        "Integration", "Ledger", "LedgerTests", "MemberTests", "Models", "Package.swift", "ReadBenchmark",
        "RootFormatTests", "Scheduling", "SchedulingTests", "Session", "Simulate", "Simulation", "Specs", "SpecsTests",
        "StorageTests", "TestKit", "Training", "TrainingTests", "Wire", "WorkerService", "docs", "scripts",
    ]
}
