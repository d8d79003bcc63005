/// The rooms that do not pass a check yet. Lists only shrink.
enum Pending {
    static let documentation: Set<String> = [
        "Access", "Cluster", "Collectives", "Columns", "CoordinatorService", "InferenceService", "Ledger", "Models",
        "Pipeline", "Scheduling", "Serving", "Session", "Specs", "Training", "Wire", "WorkerService",
    ]
    static let length: Set<String> = [
        "Access", "Benchmarks", "CGloo", "CKernels", "Cluster", "ClusterBenchmark", "Collectives", "Columns",
        "CommandLine", "CoordinatorService", "CXrootd", "DyingCoordinator", "Features", "FeaturesTests",
        "InferenceService", "InferenceTests", "Integration", "JobFile", "JobFileTests", "Ledger", "Member",
        "MemberTests", "Models", "Pipeline", "RestInterface", "RestInterfaceTests", "RootFormat", "Sampling",
        "Scheduling", "SchedulingTests", "scripts", "Session", "Simulation", "Specs", "StorageTests", "Training",
        "Wire", "WorkerService",
    ]
    static let mainType: Set<String> = [
        "Cluster", "ClusterBenchmark", "CommandLine", "CoordinatorService", "Features", "FeaturesTests",
        "InferenceService", "InferenceTests", "Member", "MemberTests", "Models", "Pipeline", "Scheduling",
        "SchedulingTests", "Simulation", "TestKit", "TrainingTests",
    ]
    static let unused: Set<String> = [
        "CoordinatorService", "Scheduling",
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
        "ARCHITECTURE.md", "Benchmarks", "CKernels", "Cluster", "ClusterBenchmark", "Collectives", "CollectivesTests",
        "CommandLine", "CONTRIBUTING.md", "CoordinatorService", "docs", "FeaturesTests", "GoldenTests", "Impair",
        "InferenceService", "InferenceTests", "Integration", "Ledger", "LedgerTests", "MemberTests", "Models",
        "ModelsTests", "Package.swift", "ReadBenchmark", "RootFormatTests", "Scheduling", "SchedulingTests", "scripts",
        "Serving", "Session", "Simulate", "Simulation", "Specs", "SpecsTests", "StorageTests", "TestKit", "Training",
        "TrainingTests", "Wire", "WireTests", "WorkerService",
    ]
}
