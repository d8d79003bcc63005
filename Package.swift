// swift-tools-version:6.2
import PackageDescription

// A folder under Common, Coordinator, Worker or Inference is one target of the same name.
// Who may import whom is written in ARCHITECTURE.md and checked by Tests/Tidy.

let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
]

/// The files of a room import all that they use, and declare which imports are part of the room's interface.
let roomSettings: [SwiftSetting] =
    swiftSettings + [
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ]

func room(_ name: String, in wing: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "\(wing)/\(name)", exclude: exclude,
        swiftSettings: roomSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: swiftSettings)
}

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let collections: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")
let deques: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let grpc: Target.Dependency = .product(name: "GRPCCore", package: "grpc-swift-2")
let grpcTransport: Target.Dependency = .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")
let grpcProtobuf: Target.Dependency = .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let hummingbirdTLS: Target.Dependency = .product(name: "HummingbirdTLS", package: "hummingbird")
let hummingbirdTesting: Target.Dependency = .product(name: "HummingbirdTesting", package: "hummingbird")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "beamline",
    products: [.executable(name: "beamline", targets: ["BeamlineCommand"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.0"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.0"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Common
        .systemLibrary(name: "CCodecs", path: "Common/CCodecs"),
        .target(
            name: "CXrootd", path: "Common/CXrootd",
            cxxSettings: [.unsafeFlags(["-I/usr/include/xrootd"])],
            linkerSettings: [.linkedLibrary("XrdCl"), .linkedLibrary("XrdUtils")]),
        .target(name: "CKernels", path: "Common/CKernels"),
        room("Bytes", in: "Common", [crypto]),
        room("Columns", in: "Common", ["Bytes", "CKernels"]),
        room("Arrays", in: "Common", ["Bytes", "CCodecs"]),
        room("Storage", in: "Common", ["Bytes", "Cluster", "CCodecs", "CXrootd", httpClient, nioSSL]),
        room("RootFormat", in: "Common", ["Bytes", "Columns", "Storage", "CCodecs", "CKernels"]),
        room("Specs", in: "Common", ["CKernels", "Bytes", "Cluster", "Columns"]),
        room("Cluster", in: "Common", ["Bytes"]),
        room("Sampling", in: "Common", ["Cluster", collections]),
        room("ConfigurationFiles", in: "Common", ["Cluster", yams]),
        room("Features", in: "Common", ["Bytes", "Columns", "Specs", "Cluster", "Sampling", "CKernels"]),
        .target(name: "CGloo", path: "Common/CGloo", linkerSettings: [.linkedLibrary("gloo")]),
        room(
            "Models", in: "Common", ["Bytes", "Cluster", "Features", "Sampling", "CKernels", protobuf],
            exclude: ["ONNX/onnx.proto"]),
        room("Collectives", in: "Common", ["Bytes", "CGloo"]),
        room("Wire", in: "Common", ["Bytes", "Cluster", protobuf, grpc, grpcProtobuf], exclude: ["workers.proto"]),
        room("RestInterface", in: "Common", ["Cluster"]),
        room(
            "HTTPFace", in: "Common",
            [deques, hummingbird, hummingbirdCore, hummingbirdTLS, lifecycle, logging, nioSSL]),
        // Coordinator
        room("Scheduling", in: "Coordinator", ["Cluster", collections, deques]),
        room("Access", in: "Coordinator", ["Bytes", crypto, x509]),
        room("JobFile", in: "Coordinator", ["Cluster", "ConfigurationFiles", yams]),
        room("Ledger", in: "Coordinator", ["Bytes", "Cluster", "RestInterface", "Scheduling", "Specs", grdb]),
        room(
            "CoordinatorService", in: "Coordinator",
            [
                "Access", "Bytes", "Cluster", "ConfigurationFiles", "Specs", "Features", "Wire", "Scheduling", "Ledger",
                "HTTPFace", "JobFile", "Models", "RestInterface", "Sampling", logging, grpc, grpcTransport,
                hummingbird, httpClient, lifecycle, nioSSL, collections,
            ]),
        // Worker
        room(
            "Pipeline", in: "Worker",
            [
                "Bytes", "Columns", "Storage", "RootFormat", "Specs", "Features", "Sampling", "Cluster", "CCodecs",
                "CKernels",
            ]),
        room(
            "Training", in: "Worker",
            ["Bytes", "Cluster", "Collectives", "Features", "Member", "Models", "Sampling"]),
        room("Member", in: "Worker", ["Cluster"]),
        room("Session", in: "Worker", ["Cluster", collections]),
        room(
            "WorkerService", in: "Worker",
            [
                "Bytes", "Cluster", "Collectives", "Features", "Member", "Models", "Pipeline", "Session", "Storage",
                "Sampling", "Training", "Wire",
                lifecycle, logging, grpc, grpcTransport,
            ]),
        // Inference
        room("Serving", in: "Inference", ["Cluster", collections]),
        room(
            "InferenceService", in: "Inference",
            ["Bytes", "Cluster", "HTTPFace", "Models", "Serving", deques, lifecycle, logging, hummingbird]),
        .target(name: "TestKit", path: "Tests/TestKit", swiftSettings: swiftSettings),
        .target(
            name: "Simulation",
            dependencies: [
                "Bytes", "Cluster", "Ledger", "Member", "Sampling", "Scheduling", "Session", "Specs", collections,
            ],
            path: "Tests/Simulation", swiftSettings: swiftSettings),
        .executableTarget(
            name: "simulate", dependencies: ["Simulation"], path: "Tests/Simulate", swiftSettings: swiftSettings),
        tests("SimulationTests", ["Simulation", "TestKit"]),
        .executableTarget(
            name: "impair", dependencies: ["TestKit"], path: "Tests/Impair", swiftSettings: swiftSettings),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "Access", "Cluster", "ConfigurationFiles", "Features", "JobFile", "Models", "RootFormat", "Specs",
                "Storage", "Wire",
            ],
            path: "Tests/Fuzz", exclude: ["make_seeds.py"], swiftSettings: swiftSettings),
        .executableTarget(
            name: "read-benchmark", dependencies: ["Bytes", "Cluster", "Storage", "RootFormat", "Pipeline"],
            path: "Benchmarks/ReadBenchmark", swiftSettings: swiftSettings),
        .executableTarget(
            name: "cluster-benchmark", dependencies: ["Cluster", "Scheduling", "Specs", "Wire", grpc, grpcTransport],
            path: "Benchmarks/ClusterBenchmark",
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "BeamlineCommand",
            dependencies: [
                "Access", "Arrays", "Bytes", "Columns", "Storage", "RootFormat", "Cluster", "ConfigurationFiles",
                "Features", "HTTPFace", "Ledger", "CoordinatorService", "RestInterface", "WorkerService",
                "InferenceService", "Models", "Pipeline",
                arguments, lifecycle, logging, httpClient, nioSSL,
            ],
            path: "CommandLine", swiftSettings: swiftSettings),
        .testTarget(
            name: "StorageTests", dependencies: ["Bytes", "Cluster", "Storage", "TestKit"], path: "Tests/StorageTests",
            exclude: ["fault_server.py"], swiftSettings: swiftSettings),
        tests(
            "RootFormatTests",
            ["Bytes", "Columns", "Storage", "RootFormat", "Pipeline", "Cluster", "Specs", "TestKit"]),
        tests("BytesTests", ["Bytes"]),
        .testTarget(
            name: "ArraysTests", dependencies: ["Arrays", "Bytes", "TestKit"], path: "Tests/ArraysTests",
            exclude: ["oracle.py"],
            swiftSettings: swiftSettings),
        tests("CKernelsTests", ["CKernels"]),
        tests("AccessTests", ["Access", x509]),
        tests("PipelineTests", ["Bytes", "Cluster", "Features", "Pipeline", "Sampling", "TestKit"]),
        tests("WireTests", ["Bytes", "Cluster", "Wire"]),
        tests("ServingTests", ["Serving"]),
        tests("HTTPFaceTests", ["HTTPFace", hummingbird, lifecycle, logging]),
        .testTarget(
            name: "ModelsTests", dependencies: ["Bytes", "CKernels", "Cluster", "Features", "Models", "TestKit"],
            path: "Tests/ModelsTests",
            exclude: ["evaluation_oracle.py", "regression_oracle.py", "torch_reference.py", "torch_reference.json"],
            swiftSettings: swiftSettings),
        tests(
            "InferenceTests",
            ["Bytes", "Cluster", "Features", "InferenceService", "Models", hummingbird, hummingbirdTesting]),
        tests("SchedulingTests", ["Cluster", "Scheduling", "Session"]),
        tests("JobFileTests", ["Cluster", "ConfigurationFiles", "JobFile"]),
        tests("SamplingTests", ["Cluster", "Sampling"]),
        .testTarget(
            name: "FeaturesTests",
            dependencies: ["Bytes", "Cluster", "Columns", "Features", "Pipeline", "Sampling", "Specs", "TestKit"],
            path: "Tests/FeaturesTests", exclude: ["oracle.py"], swiftSettings: swiftSettings),
        tests("SpecsTests", ["Bytes", "Cluster", "Columns", "Specs"]),
        tests(
            "RestInterfaceTests",
            [
                "Access", "Bytes", "Cluster", "CoordinatorService", "HTTPFace", "Ledger", "RestInterface", "Scheduling",
                "Specs", grdb, hummingbird, hummingbirdTesting, logging,
            ]),
        .executableTarget(
            name: "dying-coordinator", dependencies: ["CoordinatorService", lifecycle, logging],
            path: "Tests/DyingCoordinator", swiftSettings: swiftSettings),
        tests("LedgerTests", ["Bytes", "Cluster", "Ledger", "Scheduling", "Specs", grdb]),
        tests(
            "GoldenTests",
            ["Bytes", "Cluster", "Features", "Ledger", "Models", "Scheduling", "Specs", "Wire", grdb, "TestKit"]),
        tests("CollectivesTests", ["Bytes", "Collectives"]),
        tests("MemberTests", ["Cluster", "Member"]),
        tests(
            "TrainingTests",
            ["Bytes", "Cluster", "Collectives", "Features", "Member", "Models", "Sampling", "Training"]),
        .testTarget(
            name: "Integration", dependencies: ["BeamlineCommand", "TestKit", "dying-coordinator"],
            path: "Tests/Integration",
            exclude: ["oracles"], swiftSettings: swiftSettings),
        tests("Tidy", ["TestKit"]),
    ],
    cxxLanguageStandard: .cxx17
)
