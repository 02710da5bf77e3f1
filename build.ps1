#Requires -Version 5.1
# The same two commands for Windows (build.sh has the rest, and runs in WSL):
#   .\build.ps1 run     build, then serve on http://localhost:8080 ($env:PORT overrides)
#   .\build.ps1 test    every .NET, client and browser test; the last line reads "N passed, N failed"
#   .\build.ps1 build   install what is missing, build everything
param([Parameter(Position = 0)][ValidateSet('build', 'run', 'test')][string] $Verb = 'run', [Parameter(ValueFromRemainingArguments)][string[]] $Rest = @())

$ErrorActionPreference = 'Stop'
Set-Location $PSScriptRoot
$env:DOTNET_CLI_TELEMETRY_OPTOUT = '1'
$env:DOTNET_NOLOGO = '1'
$env:DOTNET_CLI_UI_LANGUAGE = 'en'
$passed = 0
$failed = 0
$skipped = 0

function Need([string] $Command, [string] $What) {
    if (-not (Get-Command $Command -ErrorAction SilentlyContinue)) { throw "Whatsit needs $What; it was not found on the PATH." }
}

# Programs tell by their exit code, which PowerShell does not take for an error.
function Invoke-Checked([scriptblock] $Script) {
    & $Script
    if ($LASTEXITCODE -ne 0) { throw "'$($Script.ToString().Trim())' ended with exit code $LASTEXITCODE." }
}

function Build {
    Need dotnet 'the .NET SDK 10'
    Need npm 'Node.js 20 or later'
    $installed = 'client/node_modules/.package-lock.json'
    if (-not (Test-Path $installed) -or (Get-Item 'client/package-lock.json').LastWriteTime -gt (Get-Item $installed -Force).LastWriteTime) {
        Push-Location client
        try { Invoke-Checked { npm ci --ignore-scripts --no-fund --no-audit --loglevel=error } } finally { Pop-Location }
        (Get-Item $installed -Force).LastWriteTime = Get-Date
    }

    Invoke-Checked { dotnet build Server.sln -c Release --nologo -v quiet }
}

# Adds one runner's counts to the totals; a runner that died without a count is a failure.
function Add-Count([string] $Name, [int] $Code, [int[]] $Counts) {
    if (-not $Counts) { $Counts = @(0, 1, 0) }
    if ($Code -ne 0 -and $Counts[1] -eq 0) { $Counts[1] = 1 }
    $script:passed += $Counts[0]
    $script:failed += $Counts[1]
    $script:skipped += $Counts[2]
    Write-Host "== ${Name}: $($Counts[0]) passed, $($Counts[1]) failed, $($Counts[2]) skipped"
}

function Test-DotNet {
    foreach ($project in Get-ChildItem tests -Directory -Filter '*.Tests') {
        $counts = $null
        # On Windows the program ends in .exe, which the name may leave out.
        & "artifacts/bin/$($project.Name)/release/$($project.Name)" -noColor | ForEach-Object {
            Write-Host $_
            # xunit.v3: "Total: 9, Errors: 0, Failed: 0, Skipped: 0, Not Run: 0, Time: 0.1s"
            if ($_ -match 'Total: (\d+), Errors: (\d+), Failed: (\d+), Skipped: (\d+), Not Run: (\d+)') {
                $total, $errors, $failures, $skips, $notRun = $Matches[1..5] | ForEach-Object { [int] $_ }
                $counts = @(($total - $failures - $skips - $notRun), ($failures + $errors), $skips)
            }
        }
        Add-Count $project.Name $LASTEXITCODE $counts
    }
}

# Vitest and Playwright both write JSON.
function Add-Json([string] $Name, [int] $Code, [string] $File) {
    $counts = $null
    if (Test-Path $File) {
        $report = Get-Content $File -Raw | ConvertFrom-Json
        if ($report.stats) { $counts = @(($report.stats.expected + $report.stats.flaky), $report.stats.unexpected, $report.stats.skipped) }
        else {
            $broken = [int] ($report.numFailedTestSuites -gt 0 -and $report.numFailedTests -eq 0)
            $counts = @($report.numPassedTests, ($report.numFailedTests + $broken), ($report.numPendingTests + $report.numTodoTests))
        }
    }
    Add-Count $Name $Code $counts
}

function Test-Client {
    $report = Join-Path $PSScriptRoot 'artifacts/client-tests.json'
    if (Test-Path $report) { Remove-Item $report }
    Push-Location client
    try {
        foreach ($step in { npm run --silent lint }, { npm run --silent typecheck }, { npx vitest run --reporter=default --reporter=json --outputFile.json="$report" }) {
            & $step | Out-Host
            $code = $LASTEXITCODE
            if ($code -ne 0) { break }
        }
    }
    finally { Pop-Location }
    Add-Json 'client' $code $report
}

function Test-Browser {
    $report = Join-Path $PSScriptRoot 'artifacts/browser-tests.json'
    if (Test-Path $report) { Remove-Item $report }
    # Windows brings a Chromium of its own.
    $edge = "${env:ProgramFiles(x86)}\Microsoft\Edge\Application\msedge.exe"
    if (-not $env:CHROMIUM -and (Test-Path $edge)) { $env:CHROMIUM = $edge }
    Invoke-Checked { dotnet publish src/Server -c Release --nologo -v quiet -o artifacts/server }
    Push-Location client
    try {
        # The way that the shell goes which Node.js starts it by.
        $env:WHATSIT_SERVER = Join-Path $PSScriptRoot 'artifacts/server/Whatsit.Server'
        $env:PLAYWRIGHT_JSON_OUTPUT_NAME = $report
        npx playwright test '--reporter=list,json' | Out-Host
        $code = $LASTEXITCODE
    }
    finally { Pop-Location }
    Add-Json 'browser' $code $report
}

Build
switch ($Verb) {
    'run' { dotnet run --no-build -c Release --project src/Server @Rest; exit $LASTEXITCODE }
    'test' {
        Test-DotNet
        Test-Client
        Test-Browser
        Write-Host ''
        if ($skipped -gt 0) { Write-Host "$passed passed, $failed failed, $skipped skipped" } else { Write-Host "$passed passed, $failed failed" }
        exit [int] ($failed -gt 0)
    }
}
